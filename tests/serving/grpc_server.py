"""A PredictionService of the genuine messages of tensorflow-serving-api, on loopback, over one SavedModel.

    python grpc_server.py MODEL

It writes its port, and answers until its input ends. It is no TensorFlow Serving: it shows that what an export takes
and gives fits into the messages that TensorFlow Serving speaks.
"""

import sys
from concurrent import futures

import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

import tensorflow as tf

signatures = tf.saved_model.load(sys.argv[1]).signatures


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def Predict(self, request, context):
        name = request.model_spec.signature_name or "serving_default"
        if name not in signatures:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no signature {name}")
        answer = predict_pb2.PredictResponse()
        try:
            inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
            for key, value in signatures[name](**inputs).items():
                answer.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
        except Exception as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error)[:500])
        return answer


server = grpc.server(futures.ThreadPoolExecutor(2))
prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
sys.stdout.write(f"{server.add_insecure_port('127.0.0.1:0')}\n")
sys.stdout.flush()
server.start()
sys.stdin.read()
