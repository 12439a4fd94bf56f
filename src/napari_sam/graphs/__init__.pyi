from .checking import Agreement as Agreement
from .checking import sam_inputs as sam_inputs
from .export import export_onnx as export_onnx
from .options import OnnxOptions as OnnxOptions
from .pocket import pocket_decoder_graph as pocket_decoder_graph
from .pocket import pocket_encoder_graph as pocket_encoder_graph
from .storing import store as store
