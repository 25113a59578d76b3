"""What both APIs do alike: a function a call, by noun."""
