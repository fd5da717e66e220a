"""The views of the page, a question a file; `catalog` names them."""
