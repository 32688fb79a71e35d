"""Names for runs whose users gave none: `brisk-otter`. Easier to say, to type and to tell apart than an id."""

import secrets

ADJECTIVES = """
able agile airy amber ample apt arctic autumn azure balmy basic bold brave breezy brief bright brisk broad bronze calm
candid casual cheery chilly civil clean clear clever coastal cosmic cosy crisp curious daring dapper deep deft dewy
dreamy driven dusky eager early earnest easy elder epic even exact fair famous fancy fast fearless fine firm fleet
fluent fond frank free fresh frosty gallant gentle giddy glad golden grand great green happy hardy hasty hazel hearty
hidden honest humble icy ideal jaunty jolly jovial keen kind lasting late lavish level light lilac limber lively lofty
loyal lucid lucky lunar lush mellow merry mighty mild misty modest mossy native neat nimble noble novel oaken olive
open pale patient peppy placid plain plucky polar polite prime proud pure quick quiet rapid ready regal rosy royal
rugged rural rustic sage sandy savvy serene sharp shiny silent silver simple sleek smart smooth snowy sober soft solar
solid spare spry stable stark steady stellar still stoic stout sturdy subtle sunny super sure tall tame tender tidy
timely topaz tranquil trim true upbeat urban valiant vast velvet vivid warm wary whole wild willing windy wise witty
worthy young zany zesty
"""

ANIMALS = """
adder albatross alpaca ant antelope ape auk badger bat bear beaver bee beetle bison boar bobcat buffalo bunting
buzzard camel canary caribou cat cheetah chinchilla chough cicada civet clam cobra cod condor coot cormorant cougar
cow coyote crab crane cricket crow cuckoo curlew deer dingo dipper dolphin donkey dormouse dove duck dunlin eagle eel
egret eland elk emu ermine falcon ferret finch firefly flamingo fox frog gannet gazelle gecko gibbon giraffe gnu goat
goldfinch goose gopher goshawk grebe grouse guppy gull haddock hare harrier hawk hedgehog heron herring hippo hornet
horse hoopoe hound ibex ibis iguana impala jackal jackdaw jaguar jay kestrel kingfisher kite kiwi koala koi krill kudu
lapwing lark lemming lemur leopard linnet lion lizard llama lobster loon lynx macaw mackerel magpie mallard manatee
marlin marmot marten martin meerkat mink minnow mole mongoose moose moth mouse mule narwhal newt nightjar numbat
nuthatch ocelot octopus okapi opossum orca oriole osprey ostrich otter owl ox oyster panda panther parrot partridge
peacock pelican penguin perch petrel pheasant pigeon pika pike pipit plover pony porpoise puffin puma quail quokka
rabbit raccoon ram raven redstart reindeer robin rook salmon sandpiper sardine seal serval shark sheep shrew shrike
siskin skink skua skylark sloth snail snipe sparrow spider squid squirrel starling stoat stork sturgeon swallow swan
swift tapir teal tern thrush tiger toad toucan trout tuna turkey turtle viper vole wagtail walrus warbler wasp weasel
whale wigeon wolf wombat woodcock woodpecker wren yak zebra
"""


def random_run_name() -> str:
    """One of some forty thousand."""
    return f"{secrets.choice(ADJECTIVES.split())}-{secrets.choice(ANIMALS.split())}"
