"""What every implementation of a seam must do; a new one joins as a parameter."""
