"""Files that run TensorFlow Serving, the real one, in production: its configuration, Compose, Kubernetes, alerts."""
