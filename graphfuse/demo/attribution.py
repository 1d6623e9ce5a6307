"""Where the data of the demo come from, and the words that their licences ask to be shown."""

FLAGS = (
    "Flags: all emojis designed by OpenMoji, the open-source emoji and icon project. License: CC BY-SA 4.0 "
    "(https://openmoji.org, https://creativecommons.org/licenses/by-sa/4.0/). Cropped, and degraded on purpose."
)
FACTS = "Borders, capitals, regions and outlines: countryinfo (MIT), with the corrections listed in graphfuse."
NAMES = "Names, languages and currencies: Unicode CLDR (Unicode License V3), through Babel (BSD)."
MODELS = "Picture features: EfficientNet-Lite0 (Apache-2.0). Word features: all-MiniLM-L6-v2 (Apache-2.0)."

# Shown with every result and on every page of the demo.
ATTRIBUTION = (FLAGS, FACTS, NAMES, MODELS)
