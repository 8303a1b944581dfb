"""What the Workers use of Pyodide."""
