// Halo exchange by GHEX's C++ interface as its own tests use it: the pattern and the communication object are made once, an exchange takes all fields at
// once, one message a peer.  See ghex.h.
#include "ghex.h"

#include <ghex/communication_object.hpp>
#include <ghex/config.hpp>
#include <ghex/structured/pattern.hpp>
#include <ghex/structured/regular/domain_descriptor.hpp>
#include <ghex/structured/regular/field_descriptor.hpp>
#include <ghex/structured/regular/halo_generator.hpp>
#include <ghex/structured/regular/make_pattern.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <vector>

namespace {

struct exchange {
    virtual ~exchange() = default;
    virtual void run() = 0;
};

template <int D, typename Layout> struct exchange_of final : exchange {
    using dimension = std::integral_constant<int, D>;
    using domain = ghex::structured::regular::domain_descriptor<int, dimension>;
    using halos = ghex::structured::regular::halo_generator<int, dimension>;
    using point = std::array<int, D>;
    using pattern = decltype(ghex::make_pattern<ghex::structured::grid>(std::declval<ghex::context &>(), std::declval<halos &>(),
                                                                        std::declval<std::vector<domain> &>()));
    using object = decltype(ghex::make_communication_object<pattern>(std::declval<ghex::context &>()));
    using field = decltype(ghex::wrap_field<ghex::cpu, Layout>(std::declval<domain &>(), std::declval<double *>(), point{}, point{}));
    using info = decltype(std::declval<pattern &>()(std::declval<field &>()));

    explicit exchange_of(const bench_ghex_case_t &of)
        : context(MPI_COMM_WORLD, false), domains{domain{of.rank, take(of.first, 0), take(of.last, 0)}},
          generator(point{}, take(of.whole, -1), filled<2 * D>(of.width), filled<D, bool>(true)),
          regions(ghex::make_pattern<ghex::structured::grid>(context, generator, domains)), communication(ghex::make_communication_object<pattern>(context)) {
        point extents;
        for (int d = 0; d < D; d++) extents[d] = of.last[d] - of.first[d] + 1 + 2 * of.width;
        fields.reserve(of.nfields);
        for (int f = 0; f < of.nfields; f++) {
            fields.push_back(ghex::wrap_field<ghex::cpu, Layout>(domains[0], of.fields + f * of.count, filled<D>(of.width), extents));
            infos.push_back(regions(fields.back()));
        }
    }

    void run() override { communication.exchange(infos.begin(), infos.end()).wait(); }

  private:
    static point take(const int *from, int plus) {
        point out;
        for (int d = 0; d < D; d++) out[d] = from[d] + plus;
        return out;
    }
    template <int N, typename T = int> static std::array<T, N> filled(T value) {
        std::array<T, N> out;
        out.fill(value);
        return out;
    }

    ghex::context context;
    std::vector<domain> domains;
    halos generator;
    pattern regions;
    object communication;
    std::vector<field> fields;
    std::vector<info> infos;
};

} // namespace

void *bench_ghex_open(const bench_ghex_case_t *of) {
    try {
        if (of->ndims == 2) return static_cast<exchange *>(new exchange_of<2, gridtools::layout_map<0, 1>>(*of));
        return static_cast<exchange *>(new exchange_of<3, gridtools::layout_map<0, 1, 2>>(*of));
    } catch (const std::exception &error) {
        std::fprintf(stderr, "no GHEX: %s\n", error.what());
        return nullptr;
    }
}

void bench_ghex_run(void *of) { static_cast<exchange *>(of)->run(); }

void bench_ghex_close(void *of) { delete static_cast<exchange *>(of); }
