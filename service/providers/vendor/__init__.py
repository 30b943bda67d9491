"""Models of vendors, through the model layer of pydantic-ai; imported on demand."""
