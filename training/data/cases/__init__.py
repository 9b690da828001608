"""Cases with the right assessment: evidence, distractors, offered causes and actions.

Read in this order: knowledge, causes.txt, sorting with claims.txt, evidence, offers,
surroundings, build, draw.
"""

from training.data.cases.draw import generate as generate
