"""CLEVR's questions and answers: their words, prepared arrays of them, encoders of text."""
