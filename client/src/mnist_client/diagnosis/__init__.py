"""What `doctor` looks at: each module asks one part of the system, and says what it found and what to do."""
