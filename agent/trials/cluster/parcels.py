"""What travels to nodes in one piece, named by its content: scaffolds, tasks, images. Ray carries each to a node once.

On the head, `Parcels` puts a thing into Ray's object store the first time that it is asked for. On a node, `Shelf`
fetches what it does not have yet.
"""

from __future__ import annotations

import copyreg
import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import ray

from agent.base.errors import SandboxDown
from sandbox.engine import ENGINE_ERRORS, brief, connect

KEPT = 256
CHUNK = 32 << 20
LOAD_SECONDS = 1800


def _as_read_only(content: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(content)


# Tasks hold read-only mappings, which Python does not pickle by itself.
copyreg.pickle(MappingProxyType, lambda mapping: (_as_read_only, (dict(mapping),)))


@dataclass(frozen=True, slots=True)
class Parcel:
    """A thing's name by content, and where Ray has it, in parts."""

    name: str
    parts: tuple[Any, ...]


class Parcels:
    """The head's side: the last things that were sent."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Parcel] = OrderedDict()

    def of(self, thing: object) -> Parcel:
        """The parcel that holds a plain value."""
        content = pickle.dumps(thing)
        name = hashlib.sha256(content).hexdigest()
        if name not in self._known:
            self._known[name] = Parcel(name, (ray.put(content),))
        self._known.move_to_end(name)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return self._known[name]


class Shelf:
    """A node's side: what it has fetched."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Any] = OrderedDict()

    async def get(self, parcel: Parcel) -> Any:
        """The value in a parcel, fetched once."""
        if parcel.name not in self._known:
            self._known[parcel.name] = pickle.loads(await parcel.parts[0])  # noqa: S301 - the head's own
        self._known.move_to_end(parcel.name)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return self._known[parcel.name]


@dataclass(frozen=True, slots=True)
class Image:
    """An image of the boxes: its tag, its id at the head's engine, and its content in parts."""

    tag: str
    id: str
    parts: tuple[Any, ...]


def pack_images(tags: Iterable[str]) -> tuple[Image, ...]:
    """The images of a campaign from this machine's engine. Raises SandboxDown."""
    client = connect(timeout=LOAD_SECONDS)
    try:
        return tuple(_pack(client, tag) for tag in sorted(set(tags)))
    except ENGINE_ERRORS as error:
        raise SandboxDown(f"an image cannot be read: {brief(error)}") from error
    finally:
        client.close()


def _pack(client: Any, tag: str) -> Image:
    parts = tuple(ray.put(chunk) for chunk in client.get_image(tag, chunk_size=CHUNK))
    return Image(tag, str(client.inspect_image(tag)["Id"]), parts)


def unpack_images(images: Iterable[Image]) -> int:
    """Give this node's engine the images that it does not have; how many these were. Raises SandboxDown."""
    client = connect(timeout=LOAD_SECONDS)
    try:
        missing = [image for image in images if not _has(client, image)]
        for image in missing:
            client.load_image(_parts(image))  # type: ignore[no-untyped-call]
    except ENGINE_ERRORS as error:
        raise SandboxDown(f"an image cannot be loaded: {brief(error)}") from error
    finally:
        client.close()
    return len(missing)


def _has(client: Any, image: Image) -> bool:
    return any(found["Id"] == image.id for found in client.images(image.tag))


def _parts(image: Image) -> Iterator[bytes]:
    """Its bytes, of which a node holds one part at a time in memory."""
    for part in image.parts:
        yield ray.get(part)
