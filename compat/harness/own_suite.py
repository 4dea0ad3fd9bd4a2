"""stub"""

def play(broker, directory, quick):
    return
    yield
