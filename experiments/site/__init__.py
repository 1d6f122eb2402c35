"""The documentation site: what `mkdocs.yml` needs beside Markdown, and the pictures of its pages."""
