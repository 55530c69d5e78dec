"""What is timed side by side, and how."""
