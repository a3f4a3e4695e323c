"""Other model servers with the digits model behind a multipart form: what each is installed from, and its program.

Every program finds the model file in the variable MODEL and gets a port; it answers `{"predicted_label": …}`.
"""

from __future__ import annotations

from dataclasses import dataclass

_ROW = """
import io, os, sys
import joblib, numpy as np
from PIL import Image

FILE, PORT = os.environ["MODEL"], int(sys.argv[1])

def row_of(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=np.float64).reshape(1, -1)
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to compare with: its name, what its environment holds besides the model's engine, its program.

    `command`: what follows the interpreter in the command, before the port; the program is the file `program.py`.
    """

    name: str
    requirements: tuple[str, ...]
    program: str
    command: tuple[str, ...] = ("program.py",)


STARLETTE = Peer(
    "bare Starlette handler on uvicorn",
    ("starlette==1.10.0", "python-multipart==0.0.34", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0"),
    _ROW
    + """
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

model = joblib.load(FILE)

async def predict(request):
    async with request.form() as form:
        data = await form["images"].read()
    return JSONResponse({"predicted_label": str(model.predict(row_of(data))[0])})

uvicorn.run(Starlette(routes=[Route("/", predict, methods=["POST"])]), port=PORT, log_level="error", access_log=False)
""",
)

MLSERVER = Peer(
    "MLServer",
    ("mlserver==1.7.1", "uvloop<0.22", "python-multipart==0.0.34"),
    _ROW
    + """
import asyncio
from fastapi import Request
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.handlers import custom_handler
from mlserver.settings import ModelParameters

class Digits(MLModel):
    async def load(self):
        self.model = joblib.load(FILE)
        return True

    @custom_handler(rest_path="/")
    async def ask(self, request: Request):
        async with request.form() as form:
            data = await form["images"].read()
        return {"predicted_label": str(self.model.predict(row_of(data))[0])}

async def main():
    settings = Settings(
        host="127.0.0.1", http_port=PORT, grpc_port=PORT + 1, metrics_port=PORT + 2, parallel_workers=0,
        metrics_endpoint=None, debug=False, use_structured_logging=False, load_models_at_startup=False,
    )
    server = MLServer(settings)
    model = ModelSettings(name="digits", implementation=Digits, parameters=ModelParameters(uri=FILE))
    await server.start([model])

asyncio.run(main())
""",
)

LITSERVE = Peer(
    "LitServe",
    ("litserve==0.2.19", "python-multipart==0.0.34"),
    _ROW
    + """
import litserve
from fastapi import Request

class Digits(litserve.LitAPI):
    def setup(self, device):
        self.model = joblib.load(FILE)

    def decode_request(self, request: Request):
        return row_of(request["images"].file.read())

    def predict(self, row):
        return self.model.predict(row)[0]

    def encode_response(self, label):
        return {"predicted_label": str(label)}

if __name__ == "__main__":
    server = litserve.LitServer(Digits(api_path="/"), accelerator="cpu", workers_per_device=1)
    server.run(port=PORT, host="127.0.0.1", log_level="error", generate_client_file=False, num_api_servers=1)
""",
)

BENTOML = Peer(
    "BentoML",
    ("bentoml==1.4.39",),
    """
import os
import bentoml, joblib, numpy as np
from PIL import Image

@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Digits:
    def __init__(self):
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(route="/")
    def predict(self, images: Image.Image) -> dict[str, str]:
        row = np.asarray(images.convert("L"), dtype=np.float64).reshape(1, -1)
        return {"predicted_label": str(self.model.predict(row)[0])}
""",
    ("-m", "bentoml", "serve", "program:Digits", "--host", "127.0.0.1", "--port"),
)

PEERS = (STARLETTE, MLSERVER, LITSERVE, BENTOML)
