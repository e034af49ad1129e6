from nas.config.nested import leaves


def test_names_of_nested_choices_are_dotted():
    found = dict(leaves({"a": 1, "b": [{"c": "x"}, {"c": "y"}]}))
    assert found == {"a": 1, "b.0.c": "x", "b.1.c": "y"}


def test_a_value_that_is_not_looked_into_is_a_leaf():
    assert dict(leaves({"a": {"b": [1, 2]}}, within=(dict,))) == {"a.b": [1, 2]}
