// Dark bremsstrahlung e Z -> e Z A': cross sections of vectors, axial vectors, scalars and pseudoscalars.
#ifndef NA64ROOT_DARK_BREM_HPP
#define NA64ROOT_DARK_BREM_HPP

#include <cstdint>
#include <utility>
#include <vector>

#include "na64root/estimate.hpp"
#include "na64root/form_factor.hpp"
#include "na64root/model.hpp"
#include "na64root/random.hpp"

namespace na64root {

enum class Approximation {
    etl, // exact tree level, all angles; the default
    ww,  // Weizsaecker-Williams with the x- and angle-dependent minimal momentum transfer
    iww, // improved Weizsaecker-Williams: minimal momentum transfer (M^2/2E)^2
};

// Cross sections per atom in pb for a boson of mass `mass` (GeV) with coupling epsilon e, on electrons or
// positrons of `energy` (GeV). An axial vector's longitudinal part couples with 2 m_e/M, as a pseudoscalar.
// x = E_A'/E in [M/E, 1 - m_e/E], theta the laboratory angle of the A'.
//
// etl: spin-0 nucleus at rest, |amplitude|^2 averaged over the azimuth of the recoil in closed form;
// integrals over
//      log t, 1/sqrt(U) and log(1-x), U = -((p-k)^2 - m_e^2). Formulas of the vector: Liu, Miller,
//      arXiv:1705.01633; of all: docs/physics.md, section 2, each from its trace of Dirac matrices.
// ww, iww: Bjorken et al., arXiv:0906.0580, App. A, with the full form factor; for vectors only.
// Valid for masses from 1 MeV to 3 GeV and energies from 1 to 300 GeV; outside the amplitude's cancellations
// limit doubles. A closed channel gives 0. Throws std::domain_error for a mass or energy that is not
// positive, std::invalid_argument for ww or iww with another coupling than vector, and std::runtime_error
// when an integral did not converge.
class DarkBremsstrahlung {
  public:
    DarkBremsstrahlung(double mass, const Element &element, Approximation approximation = Approximation::etl,
                       double epsilon = 1.0, Coupling coupling = Coupling::vector);

    // With a form factor of one's own (limits, other nuclei); nuclear_mass in GeV.
    DarkBremsstrahlung(double mass, const FormFactor &form_factor, double nuclear_mass,
                       Approximation approximation, double epsilon, Coupling coupling = Coupling::vector);

    double mass() const { return mass_; }
    Approximation approximation() const { return approximation_; }
    Coupling coupling() const { return coupling_; }

    // [M/E, 1 - m_e/E]; empty (first >= second) where the channel is closed.
    std::pair<double, double> x_range(double energy) const;

    // d2 sigma/dx dtheta in pb per radian.
    Estimate differential(double energy, double x, double theta) const;

    // dsigma/dx in pb.
    Estimate dsigma_dx(double energy, double x, double relative_tolerance = 1e-3) const;

    // Total cross section in pb, from x_min if it is above the kinematic limit.
    Estimate total(double energy, double relative_tolerance = 1e-3, double x_min = 0.0) const;

    // Mean of x.
    Estimate mean_x(double energy, double relative_tolerance = 1e-3) const;

    // The limits of U at x, and the density d2 sigma/dx dU in pb/GeV^2, on which sampling works.
    // U = E^2 x theta^2 + ... grows with the angle: theta = angle(energy, x, U).
    std::pair<double, double> u_range(double energy, double x) const;
    double density(double energy, double x, double u) const;
    double angle(double energy, double x, double u) const;

  private:
    friend class DarkBremSampler;
    friend class DarkBremSamplerTable;

    struct Kinematics;
    enum class Needs { flux_too, angle_only };
    Kinematics kinematics(double energy, double x, Needs needs = Needs::flux_too) const;
    double angle_from_excess(const Kinematics &kinematics, double excess) const; // U - U_min
    // The angle at `fraction` of the way in r = sqrt(U_min/U) from the largest angle (0) to none (1); 0
    // outside the range of x.
    double sampled_angle(double energy, double x, double fraction) const;
    Estimate density_estimate(const Kinematics &kinematics, double u, double relative_tolerance) const;
    Estimate momentum_transfer_integral(const Kinematics &kinematics, double u,
                                        double relative_tolerance) const;
    double flux(double t_min, double relative_tolerance) const;
    Estimate x_integral(double energy, double relative_tolerance, double x_min, bool times_x) const;

    double mass_;
    FormFactor form_factor_;
    double nuclear_mass_;
    Approximation approximation_;
    double epsilon_;
    Coupling coupling_;
};

// A sample of the production.
struct DarkBremSample {
    double x;     // E_A'/E
    double theta; // laboratory angle of the A', radian
};

// Samples (x, theta) at one energy from a table of the density over cells of y = -log(1-x) and of
// r = sqrt(U_min/U), in which it is smooth: an alias table chooses the cell, and within it the density is the
// bilinear one through the corners, inverted exactly (no rejection). Costs 4 uniforms a sample.
// Throws std::domain_error where the channel is closed.
class DarkBremSampler {
  public:
    DarkBremSampler(const DarkBremsstrahlung &cross_section, double energy, std::size_t x_cells = 192,
                    std::size_t angle_cells = 64);

    DarkBremSample operator()(Random &random) const;

    // The table's own integral (pb), which meets DarkBremsstrahlung::total within its resolution, 0.3 %
    // (0.7 % close to threshold).
    double cross_section() const { return total_; }

  private:
    friend class DarkBremSamplerTable;

    // Where a sample lies in the ranges of y (from low to high x) and r (from large to small angles).
    struct Fractions {
        double along_x, along_angle;
    };
    Fractions fractions(Random &random) const;
    double corner(std::size_t i, std::size_t j) const { return corners_[i * (angle_cells_ + 1) + j]; }

    // One cell of the alias table; the rows (of x) save a division for every sample.
    struct Alias {
        double threshold;
        std::uint32_t cell[2], row[2]; // its own and the other
    };

    DarkBremsstrahlung formula_;
    double energy_;
    std::size_t angle_cells_;
    double y_low_, y_range_;
    double x_cell_width_, angle_cell_width_; // as fractions
    double total_ = 0.0;
    std::vector<double> corners_; // (x_cells + 1) x (angle_cells + 1)
    std::vector<Alias> alias_;
};

// (x, theta) and the cross section at any energy between two, from samplers at energies of equal ratio. A
// sample comes from one of the two neighbours, chosen by nearness in ln E, and its position in the kinematic
// ranges of y and r is put into those of the true energy; the cross section is a power law between
// neighbours. No rejection. From 15 to 100 GeV with 12 energies, cross sections are within 0.4 % and mean x
// within 1e-3 of the integrals for masses from 10 MeV to 1 GeV. Throws std::domain_error where the channel is
// closed at `highest`, std::invalid_argument unless 0 < lowest < highest and there are two energies or more.
class DarkBremSamplerTable {
  public:
    DarkBremSamplerTable(const DarkBremsstrahlung &cross_section, double lowest, double highest,
                         std::size_t energies = 12, std::size_t x_cells = 128, std::size_t angle_cells = 48);

    // pb; 0 below the lowest energy or close to the threshold of the channel (2 %). Throws std::domain_error
    // above the highest.
    double cross_section(double energy) const;

    // Throws std::domain_error for an energy below the lowest or above the highest.
    DarkBremSample operator()(double energy, Random &random) const;

  private:
    // The neighbour below, and how near the one above is (0 to 1; negative below the table).
    struct Position {
        std::size_t lower;
        double above;
    };
    Position position(double energy) const;

    DarkBremsstrahlung formula_;
    double lowest_, highest_, log_lowest_, log_step_;
    std::vector<DarkBremSampler> samplers_; // at rising energies
    std::vector<double> log_cross_sections_;
};

} // namespace na64root

#endif
