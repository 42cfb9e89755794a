"""The one room that knows labels and tensors: fields in, tensors; tensors, fields out.

Inside, a state is a tensor (B, C, Y, X) of anomalies from the climatology,
divided by the scale of their channel; C counts (variable, level).
"""

from xdeepda.bridge.conductor import Conductor, CycleResult, precision_on
from xdeepda.bridge.tensors import Tensors, module_of, tensors_of, weights_of

__all__ = [
    "Conductor",
    "CycleResult",
    "Tensors",
    "module_of",
    "precision_on",
    "tensors_of",
    "weights_of",
]
