from .embeddings import EMBEDDED as EMBEDDED
from .embeddings import annotated_frames as annotated_frames
from .embeddings import annotated_places as annotated_places
from .embeddings import annotated_stack as annotated_stack
from .embeddings import encoded_parts as encoded_parts
from .embeddings import model_of as model_of
from .page import write_page as write_page
