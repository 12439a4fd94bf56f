"""Objects found by words: detectors of the library transformers, whose boxes are prompts."""
