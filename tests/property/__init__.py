"""What must hold for any input; hypothesis finds the input."""
