"""The weather workflow: a forecast's output fields, through the pool or through FDB, to products and maps.

Each module is one room: `samples`, `fields`, `grib` make the data; `plan`, `requirements` say what is wanted;
`hammer`, `products`, `pictures`, `archive` are the components; `report`, `timeline`, `demo` compare and show.
Importing this package imports none of eccodes, MIR, FDB, MPI or matplotlib: every module loads what it needs when used.
"""
