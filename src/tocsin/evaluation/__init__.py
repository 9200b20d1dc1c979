"""How good probabilities are against what people decided; numbers in, numbers out."""
