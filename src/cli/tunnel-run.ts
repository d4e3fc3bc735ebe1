// This file is `tunl tunnel run [NAME]`: `tunl connect` with the configuration file, as a tunnel named here. product.md §2.3.
import { loadConnect, usage } from "../config/index.ts";
import { command, loadInput } from "./command.ts";
import { runConnector } from "./connect.ts";

export default command("tunnel run", async (invocation) => {
  const [name] = invocation.positionals;
  const input = loadInput(invocation);
  const flag = input.flags.get("tunnel")?.[0];
  if (name !== undefined && flag !== undefined && flag !== name) {
    throw usage({
      message: `tunl tunnel run is to run "${name}" and --tunnel "${flag}"`,
      hint: "Name the tunnel once",
    });
  }
  const flags = name === undefined ? input.flags : new Map(input.flags).set("tunnel", [name]);
  await runConnector(loadConnect({ ...input, flags }, undefined, process.pid, "tunnel run"));
});
