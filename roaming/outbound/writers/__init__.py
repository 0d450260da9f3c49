"""What goes to a partner's Receiver, a file a kind: the state of now, written down at the moment it is sent."""
