"""Stands where kafka-python's tests import `test.service`, which its source distribution lacks.

In external broker mode nothing is spawned; a test that tries to is one that needs a broker
of its own (TLS, SASL) and fails here by name.
"""


class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        pass

    def close(self):
        pass


class SpawnedService:
    def __init__(self, *arguments, **_):
        raise RuntimeError(f"no broker is spawned in external broker mode: {arguments}")
