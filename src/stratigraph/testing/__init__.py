"""What authors of plug-ins test theirs by, one contract a file; and studies with known answers.

Each of `measures`, `objectives`, `architectures`, `datasets`, `engines` and `claims` holds
``CHECKS``: functions of one thing, each of which raises an `AssertionError` that says what was
promised and what came instead. They need no framework; pytest takes them as they are::

    @pytest.mark.parametrize("check", measures.CHECKS)
    def test_sizes(check):
        check(SIZES)
"""
