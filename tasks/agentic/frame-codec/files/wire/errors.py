class WireError(Exception):
    """The peer, or the caller, broke the protocol."""

    def __init__(self, text, messages=()):
        super().__init__(text)
        self.messages = list(messages)
