"""The page of emnist.inference.page, served to this machine alone, with the networks that don't fit into it."""

import json
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

import numpy as np
import torch

from emnist.errors import UserError
from emnist.inference.page import Reader
from emnist.inference.saliency import heat_maps

HOST = "127.0.0.1"
BYTES = 28 * 28  # of an image


def build_server(page: str, readers: Sequence[Reader], port: int) -> ThreadingHTTPServer:
    """A server of the page at /, and of what these readers say about an image at /predict; port 0 is any free one.

    POST /predict takes the bytes of an image uint8 [28, 28] and returns a JSON list with `probabilities`, `heat` (784
    numbers from 0 to 1) and `milliseconds` of each reader. Raises UserError if the port is taken.
    """
    lock = Lock()  # one image at a time: heat maps hook into the network

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                self.answer(200, "text/html; charset=utf-8", page.encode())
            else:
                self.answer(404, "text/plain", b"not found")

        def do_POST(self) -> None:
            if self.path != "/predict" or self.headers.get("Content-Length") != str(BYTES):
                self.answer(400, "text/plain", b"POST the 784 bytes of an image to /predict")
                return
            image = torch.from_numpy(np.frombuffer(self.rfile.read(BYTES), np.uint8).copy()).view(1, 28, 28)
            with lock:
                answers = [read_image(reader, image) for reader in readers]
            self.answer(200, "application/json", json.dumps(answers).encode())

        def answer(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *values: object) -> None:
            """Nothing: a line for each move of the pen is of no use."""

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise UserError(f"--port={port}: can't be used ({error}); choose another, or 0 for any free one") from error


def read_image(reader: Reader, image: torch.Tensor) -> dict[str, object]:
    """uint8 [1, 28, 28] → probabilities, heat map of the most probable class, and the time both took."""
    start = time.perf_counter()
    probabilities = reader.classifier.predict(image)[0].tolist()
    heat = heat_maps(reader.classifier, image).flatten().tolist()
    return {"probabilities": probabilities, "heat": heat, "milliseconds": 1000 * (time.perf_counter() - start)}
