"""The published language: for each service its RPC methods as Protocols, and the models that cross them."""
