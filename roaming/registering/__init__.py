"""The pages by which a person invites a network, connects to one, and looks after its registration."""
