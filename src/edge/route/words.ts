// This file is the two word lists of random names; any adjective may stand before any noun. product.md §6 item 1.
//
// Left out on purpose: skin colours, bodies, food and animals that double as slang, arms, faiths, peoples, and
// adjectives of size, age, heat and touch, which give such nouns a second meaning.

/** At least 256 words of 3 to 8 letters. */
export const ADJECTIVES: readonly string[] = words(`
  able agile airy alert alpine amber ample april aqua arched arctic ardent artful astute august
  autumn azure balmy beaming benign bespoke better binary blessed blithe blooming bold bonny
  bouncy brave breezy brief bright brisk bronze bubbly bucolic bustling calm candid capable
  careful caring ceramic certain charming cheerful cheery choral chrome civic civil classic
  clean clear clever cloudy coastal cobalt colorful comic compact copper coral cordial cosmic
  cosy courtly coveted crafty creative crimson crisp crystal cubic curious current dainty dapper
  daring dashing dazzling decent deluxe devoted dewy digital diligent direct distant divine
  dotted doughty dreamy durable dutiful dynamic eager earnest earthy eclectic electric elegant
  elfin eminent enduring epic equal ethereal evening evident exact expert fabled fabulous
  factual fair faithful famed famous fancy faraway fearless festive fitting fleet floral flowing
  fluent flying focal folksy formal forward fragrant free fresh friendly frosted frosty fruitful
  future gallant generous gentle genuine gifted gilded glad glassy global glorious glossy
  glowing graceful gracious grand grateful great green groovy guided handy happy hardy harmonic
  healthy hearty heroic honest hopeful humble humorous icy ideal idyllic indigo infinite inland
  inspired intact ivory jade jaunty jazzy jolly jovial joyful joyous jubilant keen kind kindly
  knowing lasting lavish leading leafy learned light lilac limber lively local lofty logical
  loyal lucid lucky luminous lunar lyric lyrical magic magnetic majestic major mapped marble
  marine mellow merry meteoric mighty mild mindful minty misty mobile modern modest modular
  moonlit morning mossy musical mystic nautical neat nimble noble notable noted novel oaken
  oceanic optimal optimum orbital orderly organic original ornate outdoor pacific painted pastel
  pastoral patient peaceful pearly placid playful plucky poetic poised polar polished polite
  popular positive precious precise premium prime pristine prompt proper proud prudent purple
  quaint quick quiet radiant rainy rapid rare ready refined regal relaxed reliable restful
  rhythmic rising robust rolling rosy rousing royal ruby rugged rural rustic sage sapphire satin
  savvy scarlet scenic seaside seasoned secure sensible serene shaded sharp shining shiny silent
  silken silky silver simple sincere skyward sleek smiling snappy snowy sociable solar solemn
  solid sonic spacious special speedy spirited splendid spring spry square stable star starlit
  starry stately steady stellar sterling stoic storied stormy stunning sturdy stylish subtle
  summer sunlit sunny super superb supreme swift tactful talented tasteful teal thankful
  thorough thrifty thriving tidal tidy timely tireless topaz tranquil trim tropical true trusty
  truthful tuneful twilight ultimate unified unique united upbeat upland urban useful valiant
  valid verdant verified versed vibrant violet virtuous vital vivid vocal warm wavy wide willing
  windy winged winning winter wise witty wondrous woodland worldly worthy zany zealous zesty
  zippy
`);

/** At least 512 words of 3 to 8 letters. */
export const NOUNS: readonly string[] = words(`
  abacus abbey acacia acorn acre agate airport album alcove algebra alley almond aloe alphabet
  alps amulet anchor anthem antler anvil apple apricot aqueduct arbor arcade arch archive arena
  aria armchair arrow artisan ascent aspen aster atlas atoll atom attic aurora avenue avocado
  awning axle backpack badge badger bagel bakery balcony ballad balloon bamboo bandana banjo
  banner banquet barge barley barn basalt basil basin basket bay bazaar beach beacon beaker bell
  bench beret berry bicycle biplane birch biscuit bison blanket blizzard blossom bluebell bluff
  boat bobcat bonfire bonnet book bookcase botanist boulder bouquet bracelet bramble branch
  brass bread breeze brick bridge brioche brook broom buckle bugle bungalow buoy button cabin
  cabinet cable cactus cadence calendar camera campfire canal canary candle canoe canopy canteen
  canvas canyon cape capsule caramel caravan caravel cardinal caribou carnival carousel carpet
  carriage cascade cashew castle catalog cedar cello chalet chalice chalk chamber channel chapel
  chapter chariot chart charter cheese chime chimney chisel chorus cinema cinnamon circle
  citadel citrus city clarinet clay cliff climber clipper clock cloud clover coast cobbler cocoa
  coffee collage college column comet compass concert condor conifer console copse corn cornet
  corridor cosmos cottage cotton courier cove coyote crater crayon creek crescent cricket crocus
  crown cruiser cupboard cupola curlew curtain cushion cyclone cymbal cypress daffodil dahlia
  daisy dance dawn daylight decade deer delta desert diagram dial diamond diary dolphin dome
  domino dragon dream drum duet dune dynamo eagle easel echo eclipse egret elk elm ember emblem
  emerald epoch equator essay estuary falcon farm feather fennel fern ferry festival fiddle
  field fjord flag flagship flame flannel flint flora flower flute foghorn forest forge fort
  fortress fountain foxglove freight fresco frigate frost gable galaxy galleon gallery garden
  garland garlic garnet gate gateway gazebo gazelle gecko geode geyser ginger giraffe glacier
  glade glass glider globe glove gondola gong gorge grain granite grape graph gravel grotto
  grove guitar gulf gull habitat hall hamlet hammock harbor harp harvest haven hawk hawthorn
  hazel headland hearth heath heather herald heron hickory highway hill hillside hive holly home
  horizon hotel house hyacinth iceberg icicle idea impala inkwell inlet iris island isthmus ivy
  jacket jaguar jasmine jetty jigsaw journal journey jungle juniper kayak kestrel kettle
  keyboard keystone kingdom kiosk kitchen kite koala ladder ladle lagoon lake lamp lantern larch
  lark lattice laurel lavender lawn leaf ledger legend lemon lentil leopard letter library
  lichen lighter lily linden linen lintel lion lizard llama lobby locket lodge loft logbook loom
  lotus lute lynx magnet magnolia mallard mandolin mango manor mantle maple marigold marina
  market marlin marmot marten meadow medal melody memo menu meridian mesa meteor metro mill
  mineral mint mirror mist mitten moment monsoon monument moon moose mosaic moss motif mountain
  mulberry mural museum myrtle narwhal nebula neon nest nickel night notebook nova number nutmeg
  oak oasis oatmeal obelisk ocean ocelot octagon octave onyx opal opera orbit orchard orchid
  oregano oriole osprey otter outpost oven owl oxygen paddle pagoda palace palette palm pancake
  panda panther paper paprika papyrus parade paradise parasol park parsley passage pasta pasture
  patio pavilion peak pebble pelican pencil pendant penguin pennant pepper petal pheasant
  phoenix piano picnic picture pier pilot pine pioneer pixel pizza planet plaza plum plume poem
  poet polka pond pony poplar poppy porch porpoise portal portrait postcard pottery prairie
  pretzel primrose prism promise puffin pumpkin puzzle pyramid quail quarry quartz quasar quest
  quilt quince rabbit radar radio radish raft railway rainbow raven ravine recipe record reed
  reef relay ribbon rice riddle ridge ripple river road robin rocket rose rosemary rotunda
  rowboat rudder runway saffron sail sailboat salad sandal sapling satchel saturn savanna scarf
  scholar school schooner science scooter scroll sea seagull season seed sequoia serenade sesame
  shell shelter shield ship shore shovel shrub signal silk sketch ski sky skylark skyline sleigh
  slope smithy snow snowdrop sofa solstice sonata sonnet sparrow spectrum spinach spiral spire
  sprout spruce squirrel stadium stapler starling station statue steeple stone stork storm story
  stove street studio sugar suitcase summit sun sunbeam sundial sunrise sunset swan symbol
  symphony table tapestry teacup teapot temple tempo tent terrace theater thimble thistle thyme
  ticket tide tiger timber tomato torch tornado tortoise toucan tower town trail train tram
  treasure tree tribune trinket trolley trophy trout trumpet tulip tundra tunnel turbine turret
  turtle umbrella unicorn vale valley vanilla vault veranda vessel viaduct village vine vineyard
  viola violin vista volcano voyage wagon walnut walrus warbler water waterway wave wharf wheat
  wheel whistle wildcat willow wind window wolf wombat workshop world wren yacht yarn year
  yogurt zebra zenith zeppelin zinc zinnia zodiac
`);

function words(list: string): string[] {
  return list.trim().split(/\s+/);
}
