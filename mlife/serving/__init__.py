"""Model Serving and Management (MSM): models, the gate, deployments."""
