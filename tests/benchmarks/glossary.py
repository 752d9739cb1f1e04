"""Terms for the glossary row: twenty that clips hold, twenty of the same kind that nobody says.

The spoken ones were chosen by hand from what Whisper base often gets wrong in these clips: names, trades, rare words.
"""

SPOKEN = (
    "Nunavut",
    "hansard",
    "inuktitut",
    "ReadAlong-Studio",
    "CNRC",
    "Éric Joanis",
    "Baudelaire",
    "LibriVox",
    "Christiane Jehanne",
    "Trismégiste",
    "helminthes",
    "houka",
    "lésine",
    "catin",
    "lices",
    "Quilter",
    "fellow Americans",
    "cowmen",
    "niggarding",
    "tillage",
)

UNSPOKEN = (
    "Kubernetes",
    "Cunningham",
    "Janus VideoRoom",
    "Cerema",
    "Légifrance",
    "Chorus Pro",
    "Tchap",
    "Grist",
    "Vigipirate",
    "Ouagadougou",
    "Montgolfier",
    "Szymborska",
    "Xavier Bertrand",
    "pyannote",
    "Plouguerneau",
    "Zuckerberg",
    "hydroxychloroquine",
    "Reykjavik",
    "Brno",
    "quinoa",
)
