"""How a provider is reached: proxies, certificates, and base URLs as people write them."""

from __future__ import annotations

import ipaddress
import os
import ssl
import urllib.request
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from agent.base.errors import UserError

_PATHS = ("/chat/completions", "/v1/messages", "/messages")


def is_loopback(url: str | None) -> bool:
    """Whether an address is this machine."""
    host = urlsplit(url or "").hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def proxy(url: str | None) -> str | None:
    """The variable whose proxy stands between here and an address; never one before this machine itself."""
    parts = urlsplit(url or "https://")
    if is_loopback(url) or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    for scheme in (parts.scheme, "all"):
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            if os.environ.get(name):
                return name
    return None


def certificates(ca_file: Path | None) -> ssl.SSLContext:
    """The certificates to trust: the system's, those in SSL_CERT_FILE, and a file of the configuration.

    Raises:
        UserError: a file is missing or holds no certificates.
    """
    import certifi  # noqa: PLC0415 - comes with the SDKs, and only a run with one needs it

    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    named = {"SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE"), "ca_file": ca_file}
    for field, path in named.items():
        if path:
            try:
                context.load_verify_locations(cafile=str(path))
            except OSError as error:
                problem = f"{path} cannot be read as certificates ({error.strerror or error})"
                raise UserError(field, problem, "Name a PEM file") from None
    return context


def base(url: str | None, ending: str = "") -> str | None:
    """A base URL without a trailing slash, without the path of an endpoint, and without `ending`."""
    if url is None:
        return None
    url = url.rstrip("/")
    for path in (*_PATHS, ending):
        url = url.removesuffix(path).rstrip("/") if path else url
    return url


def redirected(url: str, location: str | None) -> str | None:
    """Where to send a request again: only to the same host, since a key travels with it."""
    try:
        target = urljoin(url, location) if location else ""
        there, here = urlsplit(target), urlsplit(url)
    except ValueError:  # not an address
        return None
    same = there.hostname == here.hostname and there.scheme in (here.scheme, "https")
    return target if same and target != url else None
