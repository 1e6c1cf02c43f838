"""Whether embeddings of today are still distributed like those the encoder was evaluated on."""
