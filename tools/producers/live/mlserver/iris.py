"""A model of two outputs, for MLServer to serve."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Iris(MLModel):
    async def load(self):
        return True

    async def predict(self, request):
        rows = request.inputs[0].shape[0]
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            outputs=[
                NumpyCodec.encode_output("predict", np.arange(rows, dtype=np.int64)),
                NumpyCodec.encode_output("predict_proba", np.full((rows, 2), 0.5)),
            ],
        )
