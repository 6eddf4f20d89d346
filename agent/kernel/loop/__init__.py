"""The campaign: propose, admit, search, gate, commit."""
