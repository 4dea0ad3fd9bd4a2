"""What the stages are made of. Imports `paths` first: it is there that `harness` is found from then on."""

from . import paths as paths
