"""What the commands print: documents in, text out."""
