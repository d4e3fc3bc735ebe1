<?php
// This file is a PHP page: says what it is told of the fields of a request, as lines NAME=value.
header("Content-Type: text/plain");
foreach ($_SERVER as $name => $value) {
    if (str_starts_with($name, "HTTP_")) {
        echo "$name=$value\n";
    }
}
