"""What the pointer can do on the canvas, one gesture a file."""
