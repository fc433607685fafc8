// An excluded region, drawn by ROOT from the results of an analysis or of a scan, with the curves beside it.
//
//   .venv/bin/root -l -b -q macros/exclusion.C
//   .venv/bin/root -l -b -q 'macros/exclusion.C("na64root-output/results.root", "exclusion.pdf")'
//   .venv/bin/root -l -b -q 'macros/exclusion.C("scan/mass-alpha.root", "mass-alpha.pdf")'
//
// The plane and the g-2 lines are read; the core tells which Delta a_mu the central line stands for.
#pragma cling add_include_path("$ROOTSYS/../na64root/include")
#if !__has_include("na64root/magnetic_moment.hpp")
#error "na64root is not installed beside this ROOT: run with its own, .venv/bin/root, after `make build`"
#endif
#pragma cling load("$ROOTSYS/../na64root/lib/libna64root.so")
#include "na64root/magnetic_moment.hpp"
#include "na64root/units.hpp"

#include "TAxis.h"
#include "TCanvas.h"
#include "TCollection.h"
#include "TFile.h"
#include "TGraph.h"
#include "TH2D.h"
#include "TKey.h"
#include "TLegend.h"
#include "TParameter.h"
#include "TString.h"
#include "TStyle.h"
#include "TSystem.h"

#include <cmath>
#include <iostream>
#include <memory>
#include <string>

void exclusion(const char *input = "na64root-output/results.root", const char *output = "exclusion.pdf") {
    if (gSystem->AccessPathName(input)) {
        std::cerr << "exclusion.C: no file " << input
                  << " (the plane is read from it): run `make run` first, or name the results.root of an "
                     "analysis\n";
        gSystem->Exit(2);
    }
    std::unique_ptr<TFile> file(TFile::Open(input));
    auto *plane = file ? file->Get<TH2D>("upper_limit_mu") : nullptr;
    if (!plane) {
        std::cerr << "exclusion.C: " << input
                  << " holds no histogram upper_limit_mu (no plane was computed): run `na64root analyze`\n";
        gSystem->Exit(2);
    }
    plane->SetDirectory(nullptr);

    struct Band {
        const char *name;
        int colour;
        const char *title;
    };
    const Band bands[] = {{"g-2_before_Fermilab", kAzure - 4, "(g-2)_{#mu}, #pm2#sigma, before Fermilab"},
                          {"g-2", kRed - 7, "(g-2)_{#mu}, #pm2#sigma, with Fermilab (2021)"}};
    const auto *masses = plane->GetXaxis();
    const auto *epsilons = plane->GetYaxis();
    const auto line_of = [&](const std::string &name) { return file->Get<TGraph>(name.c_str()); };

    gStyle->SetOptStat(0);
    auto *canvas = new TCanvas("exclusion", "exclusion", 750, 900);
    // Bins of one width are those of a linear axis.
    const auto logarithmic = [](const TAxis *axis) {
        return axis->GetBinWidth(axis->GetNbins()) > 1.001 * axis->GetBinWidth(1);
    };
    canvas->SetLogx(logarithmic(masses));
    canvas->SetLogy(logarithmic(epsilons));
    canvas->SetTicks();
    canvas->SetMargin(0.13, 0.04, 0.32, 0.04); // below: the legend
    auto *frame =
        canvas->DrawFrame(masses->GetXmin(), epsilons->GetXmin(), masses->GetXmax(), epsilons->GetXmax(),
                          TString::Format(";%s;%s", masses->GetTitle(), epsilons->GetTitle()));
    frame->GetXaxis()->SetTitleOffset(1.2);
    frame->GetYaxis()->SetTitleOffset(1.4);
    auto *legend = new TLegend(0.08, 0.01, 0.96, 0.24);
    legend->SetNColumns(2);
    legend->SetBorderSize(0);
    legend->SetFillStyle(0);
    for (const auto &band : bands) {
        const auto *low = line_of(std::string(band.name) + "_minus2");
        const auto *high = line_of(std::string(band.name) + "_plus2");
        if (!low || !high) // the band reaches values that no epsilon explains
            continue;
        auto *area = new TGraph(*low);
        for (int i = high->GetN() - 1; i >= 0; --i)
            area->AddPoint(high->GetPointX(i), high->GetPointY(i));
        area->SetFillColorAlpha(band.colour, 0.5);
        area->Draw("F");
        legend->AddEntry(area, band.title, "f");
    }
    if (auto *line = line_of("g-2_central")) {
        line->SetLineColor(kRed + 1);
        line->SetLineStyle(2);
        line->SetLineWidth(2);
        line->Draw("L");
        const double moment =
            na64root::magnetic_moment(na64root::units::muon_mass, line->GetPointX(0), line->GetPointY(0));
        std::cout << TString::Format("central line: Delta a_mu = %.4g\n", moment);
        legend->AddEntry(line, TString::Format("(g-2)_{#mu}, #Deltaa_{#mu} = %.3g", moment), "l");
    }

    // What else is in the file: lines of theory, other experiments.
    const int colours[] = {kViolet + 1, kOrange + 7, kCyan + 2, kOrange + 3, kGray + 2, kBlack, kTeal + 3};
    int drawn = 0;
    for (const auto *key : TRangeDynCast<TKey>(file->GetListOfKeys())) {
        const TString name = key->GetName();
        if (TString(key->GetClassName()) != "TGraph" || name.BeginsWith("g-2") ||
            name.BeginsWith("contour_") || name.BeginsWith("inclusive_") || name.EndsWith("band"))
            continue;
        auto *curve = line_of(name.Data());
        curve->SetLineColor(colours[drawn++ % 7]);
        curve->SetLineWidth(2);
        curve->Draw("L");
        TString title = name;
        legend->AddEntry(curve, title.ReplaceAll("_", " "), "l");
    }

    // Excluded where the limit on the signal strength is below 1.
    int excluded = 0;
    for (int i = 1; i <= masses->GetNbins(); ++i)
        for (int k = 1; k <= epsilons->GetNbins(); ++k) {
            const double mu = plane->GetBinContent(i, k);
            excluded += mu < 1.0;
            plane->SetBinContent(i, k, std::log(std::min(std::max(mu, 1e-20), 1e20)));
        }
    const double level = 0.0;
    plane->SetContour(1, &level);
    plane->SetLineColor(kGreen + 3);
    plane->SetLineWidth(3);
    plane->Draw("CONT3 SAME");
    auto *entry = new TGraph;
    entry->SetLineColor(kGreen + 3);
    entry->SetLineWidth(3);
    const auto *level_of = file->Get<TParameter<double>>("confidence_level");
    legend->AddEntry(entry,
                     level_of ? TString::Format("NA64, excluded at %g %% CL", 100.0 * level_of->GetVal())
                              : TString("NA64, excluded"),
                     "l");
    // Where S2 counts all that its selection leaves.
    int inclusive = 0;
    while (auto *contour = line_of("inclusive_" + std::to_string(inclusive))) {
        contour->SetLineColor(kGreen + 3);
        contour->SetLineStyle(2);
        contour->SetLineWidth(3);
        contour->Draw("L");
        if (inclusive++ == 0)
            legend->AddEntry(contour, "same data, inclusive signal", "l");
    }
    std::cout << "inclusive contours: " << inclusive << "\n";
    legend->Draw();
    std::cout << "excluded points: " << excluded << " of " << masses->GetNbins() * epsilons->GetNbins()
              << "\n";
    canvas->RedrawAxis();
    canvas->SaveAs(output);
}
