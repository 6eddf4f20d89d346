from wire.decode import Decoder
from wire.encode import encode
from wire.errors import WireError

__all__ = ["Decoder", "WireError", "encode"]
