"""api on AWS Lambda: behind a function URL; the token is the api's own. See main.py for what it does."""

from penstock.wiring.lambda_functions import http_handler

handler = http_handler("api")
