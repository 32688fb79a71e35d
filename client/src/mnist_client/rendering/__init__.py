"""What the commands print: documents in, text out. Rich, where it is needed, is used here only."""
