"""Real predictions, as judgement is tested on."""

from tests.judgement.conftest import cases, real_predictions

__all__ = ["cases", "real_predictions"]
