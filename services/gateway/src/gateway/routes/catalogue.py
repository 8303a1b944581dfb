"""The routes of the catalogue: products and categories."""

from gateway.answers import CategoryList, ProductPage
from gateway.http import Response, json_of, json_text
from gateway.preconditions import entity_tag
from gateway.routing import Access, Asked, Route
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.product import (
    Admin,
    Catalogue,
    Category,
    CategoryChanges,
    ChangeCategory,
    ChangeProduct,
    DeleteCategory,
    DeleteProduct,
    GetProduct,
    ListProducts,
    NewCategory,
    NewProduct,
    Product,
    ProductChanges,
)


def _product(product: Product, status: int = 200, location: str | None = None) -> Response:
    answer = json_of(product, status, {"location": location} if location else None)
    return answer.having({"etag": entity_tag(product.version, answer.text or "")})


def _category(category: Category, status: int = 200) -> Response:
    return json_of(category, status, {"etag": entity_tag(category.version)})


async def list_products(asked: Asked[ListProducts]) -> Response:
    """A page of the catalogue."""
    return json_text(await asked.ask(Catalogue).list_products(asked.input))


async def get_product(asked: Asked[Nothing]) -> Response:
    """One product."""
    return _product(await asked.ask(Catalogue).get_product(GetProduct(id=asked.path["id"])))


async def create_product(asked: Asked[NewProduct]) -> Response:
    """A new product."""
    created = await asked.ask(Admin).create_product(asked.input)
    return _product(created, 201, f"/api/products/{created.id}")


async def change_product(asked: Asked[ProductChanges]) -> Response:
    """Some fields of a product, if it still is as its author saw it."""
    change = ChangeProduct(id=asked.path["id"], expected_version=asked.expected_version, changes=asked.input)
    return _product(await asked.ask(Admin).change_product(change))


async def delete_product(asked: Asked[Nothing]) -> Response:
    """A product out of the catalogue."""
    await asked.ask(Admin).delete_product(DeleteProduct(id=asked.path["id"]))
    return Response(204)


async def list_categories(asked: Asked[Nothing]) -> Response:
    """All categories."""
    return json_text(await asked.ask(Catalogue).list_categories(asked.input))


async def create_category(asked: Asked[NewCategory]) -> Response:
    """A new category."""
    return _category(await asked.ask(Admin).create_category(asked.input), 201)


async def change_category(asked: Asked[CategoryChanges]) -> Response:
    """A category under another name, if it still is as its author saw it; it stays below its parent."""
    change = ChangeCategory(id=asked.path["id"], expected_version=asked.expected_version, changes=asked.input)
    return _category(await asked.ask(Admin).change_category(change))


async def delete_category(asked: Asked[Nothing]) -> Response:
    """A category without products and categories of its own out of the tree."""
    await asked.ask(Admin).delete_category(DeleteCategory(id=asked.path["id"]))
    return Response(204)


ROUTES = (
    Route(
        "GET", "/api/products", Access.ANYONE, list_products, ListProducts, "Search the catalogue", output=ProductPage
    ),
    Route(
        "GET", "/api/products/{id}", Access.ANYONE, get_product, Nothing, "One product", output=Product, has_etag=True
    ),
    Route(
        "POST",
        "/api/products",
        "catalogue:manage",
        create_product,
        NewProduct,
        "Add a product",
        output=Product,
        status=201,
        refuses=(409,),
        has_etag=True,
    ),
    Route(
        "PATCH",
        "/api/products/{id}",
        "catalogue:manage",
        change_product,
        ProductChanges,
        "Change a product",
        output=Product,
        refuses=(409,),
        needs_if_match=True,
        has_etag=True,
    ),
    Route("DELETE", "/api/products/{id}", "catalogue:manage", delete_product, Nothing, "Delete a product", status=204),
    Route("GET", "/api/categories", Access.ANYONE, list_categories, Nothing, "The category tree", output=CategoryList),
    Route(
        "POST",
        "/api/categories",
        "catalogue:manage",
        create_category,
        NewCategory,
        "Add a category",
        output=Category,
        status=201,
        refuses=(409,),
        has_etag=True,
    ),
    Route(
        "PATCH",
        "/api/categories/{id}",
        "catalogue:manage",
        change_category,
        CategoryChanges,
        "Rename a category",
        output=Category,
        refuses=(409,),
        needs_if_match=True,
        has_etag=True,
    ),
    Route(
        "DELETE",
        "/api/categories/{id}",
        "catalogue:manage",
        delete_category,
        Nothing,
        "Delete a category",
        status=204,
        refuses=(409,),
    ),
)
