"""What travels to nodes in one piece, named by its content: scaffolds, tasks, images. Ray carries each to a node once.

On the head, `Parcels` and `Images` put a thing into Ray's object store the first time that it is asked for. On a node,
`Shelf` fetches what it does not have yet.
"""

from __future__ import annotations

import copyreg
import hashlib
import pickle
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import ray
from docker import APIClient
from docker.errors import StreamParseError
from docker.utils.json_stream import json_stream
from requests import Response

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
    """An image of the boxes: its tag, and its id at the head's engine."""

    tag: str
    id: str


class Images:
    """The head's side: images of this machine's engine, each read when the first node lacks it.

    Raises:
        SandboxDown: the engine does not have one, or does not answer.
    """

    def __init__(self, tags: Iterable[str]) -> None:
        with _engine("read") as client:
            self.all = tuple(Image(tag, _id_of(client, tag)) for tag in sorted(set(tags)))
        self._parts: dict[Image, tuple[Any, ...]] = {}
        self._turn = threading.Lock()

    def parts(self, image: Image) -> tuple[Any, ...]:
        """Where Ray has an image, in parts. Takes as long as reading it, the first time."""
        with self._turn:
            if image not in self._parts:
                with _engine("read") as client:
                    self._parts[image] = tuple(map(ray.put, joined(client.get_image(image.tag), CHUNK)))
            return self._parts[image]


def joined(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in larger pieces, each of `size` bytes or a little more but the last: engines send small ones."""
    part = bytearray()
    for piece in pieces:
        part += piece
        if len(part) >= size:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)


def _id_of(client: APIClient, tag: str) -> str:
    return str(client.inspect_image(tag)["Id"])  # type: ignore[no-untyped-call]


def lacking(images: Iterable[Image]) -> list[Image]:
    """Those that this node's engine does not have. Raises SandboxDown."""
    with _engine("found") as client:
        return [image for image in images if all(found["Id"] != image.id for found in client.images(image.tag))]


def load(image: Image, parts: Iterable[Any]) -> None:
    """Give this node's engine an image; holds one part at a time in memory, and returns when the engine has it.

    Raises:
        SandboxDown: the engine refused it, or does not know its tag afterwards.
    """
    with _engine("loaded") as client:
        # docker-py's `load_image` reads neither the status nor the errors of an answer that nobody iterates over.
        answer = client.post(
            f"{client.base_url}/v{client.api_version}/images/load",
            data=(ray.get(part) for part in parts),
            timeout=client.timeout,
        )
        if (trouble := _refusal(answer)) is not None:
            raise SandboxDown(f"an image cannot be loaded: {image.tag}: {' '.join(trouble.split())[-300:]}")
        _id_of(client, image.tag)  # its id may differ from the head's: engines store images in more than one way


def _refusal(answer: Response) -> str | None:
    """Why the engine did not load an image; None if it did: errors on the way come as lines of an answer of 200."""
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        return f"status {answer.status_code}: {answer.text}"
    with suppress(StreamParseError):  # an engine that says something else is asked for the tag
        for said in json_stream(iter([answer.text])):
            if isinstance(said, dict) and said.keys() & {"error", "errorDetail"}:
                return str(said.get("error") or said["errorDetail"])
    return None


@contextmanager
def _engine(done: str) -> Iterator[APIClient]:
    client = connect(timeout=LOAD_SECONDS)
    try:
        yield client
    except ENGINE_ERRORS as error:
        raise SandboxDown(f"an image cannot be {done}: {brief(error)}") from error
    finally:
        client.close()
